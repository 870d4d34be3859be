//! The safetensors format, written: a header of names, shapes and places, and the numbers as they are.
//!
//! Its library promises no bytes, only what is read back; here the bytes are what counts, for hashes of them stand in `models.toml`.
//! Tests read back by the library what is written here. (<https://github.com/huggingface/safetensors#format>)

use std::collections::BTreeMap;

use serde::Serialize;

/// Numbers with a shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Length in each direction, the outermost first.
    pub shape: Vec<usize>,
    /// The numbers, the innermost direction first.
    pub values: Vec<f32>,
}

/// One entry of the header.
#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'t> {
    Metadata { format: &'t str },
    Tensor { dtype: &'t str, shape: &'t [usize], data_offsets: [usize; 2] },
}

/// The bytes of a file of tensors.
pub fn bytes(tensors: &BTreeMap<String, Tensor>) -> Result<Vec<u8>, serde_json::Error> {
    let mut header = BTreeMap::from([("__metadata__", Entry::Metadata { format: "pt" })]);
    let mut end = 0;
    for (name, tensor) in tensors {
        let start = end;
        end += tensor.values.len() * size_of::<f32>();
        let entry = Entry::Tensor { dtype: "F32", shape: &tensor.shape, data_offsets: [start, end] };
        header.insert(name, entry);
    }
    let mut header = serde_json::to_vec(&header)?;
    // Numbers begin at a multiple of eight.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut out = Vec::with_capacity(8 + header.len() + end);
    out.extend((header.len() as u64).to_le_bytes());
    out.extend(header);
    out.extend(tensors.values().flat_map(|tensor| &tensor.values).flat_map(|value| value.to_le_bytes()));
    Ok(out)
}
