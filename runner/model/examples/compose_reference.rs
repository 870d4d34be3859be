//! Prints the reference page of the Compose subset: `cargo run -p testbed-model --example compose_reference`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(testbed_model::compose::subset::reference().as_bytes())
}
