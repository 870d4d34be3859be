//! Arguments of `models`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Arguments of `models`.
#[derive(Debug, Args)]
pub struct ModelsArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub verb: ModelsVerb,
}

/// The verbs of `models`.
#[derive(Debug, Subcommand)]
pub enum ModelsVerb {
    /// Say for each model where it comes from, and whether it is here
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Fetch models of Hugging Face that are not here; the only step that asks the network
    Fetch(FetchArgs),
    /// Read every file of the models that are here, and check its hash
    Verify {
        /// Models [default: all that are here]
        names: Vec<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Copy a model from a folder, after checking every file's hash
    Import {
        /// Model
        name: String,
        /// Folder with its files, such as a snapshot of Hugging Face's own cache
        folder: PathBuf,
    },
    /// Remove what models/models.toml names no more, unless it is in use
    Prune {
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the tiny models that are not here: random weights, the same bytes on every machine
    MakeTiny {
        /// Models [default: all that can be made]
        names: Vec<String>,
    },
}

/// Arguments of `models fetch`.
#[derive(Debug, Args)]
#[command(
    after_help = "A private or gated repository needs a token: from --token-file, HF_TOKEN, or the file that HF_TOKEN_PATH names. \
                  It is sent to the endpoint alone, and shown nowhere. Proxies are those of HTTPS_PROXY, HTTP_PROXY and NO_PROXY."
)]
pub struct FetchArgs {
    /// Models [default: all of Hugging Face that are pinned]
    pub names: Vec<String>,
    /// Fetch also what is not pinned, and write its hashes and sizes into models/models.toml
    #[arg(long, requires = "names")]
    pub pin: bool,
    /// File that holds the token of Hugging Face
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Base address [default: that of `HF_ENDPOINT`, or Hugging Face's own]
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// Print the events as JSON lines instead of progress
    #[arg(long)]
    pub json: bool,
}
