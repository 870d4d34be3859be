//! Models: made, fetched, verified, kept.

pub mod safetensors;
pub mod tiny;
