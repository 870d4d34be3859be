//! Tiny models with random weights: real enough for any engine to serve, the same bytes on every machine.
//!
//! The numbers are made of whole numbers and one multiplication each, so that no library of mathematics has a say in them. They are
//! scaled so that an engine's greedy text is a text: queries and keys are large enough for attention to pick a few positions,
//! so what comes next depends on what was said, and the tokens that are not words have no weight in the last layer, so an
//! answer is made of words and does not end before its limit.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde::Deserialize;
use serde_json::{Value, json};
use testbed_model::models::Architecture;

use super::safetensors::{self, Tensor};

/// Tokens. The mocker answers with ids between 1,000 and 2,000, which must decode to text that can be seen.
const VOCABULARY: usize = 2048;
const HIDDEN: usize = 128;
const INTERMEDIATE: usize = 256;
const LAYERS: usize = 2;
const HEADS: usize = 2;
const KEY_HEADS: usize = 1;
/// Attention of vLLM on a CPU refuses smaller heads.
const HEAD: usize = HIDDEN / HEADS;
const CONTEXT: usize = 2048;

/// The deviation of a sum of four numbers of 16 bits, evenly distributed.
const DEVIATION: f32 = 37_837.2;

/// What is wrong with a tokenizer.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Garbled(#[from] serde_json::Error),
    /// It has other tokens than the weights are for.
    #[error("it has {0} tokens, and a tiny model has {VOCABULARY}")]
    Size(usize),
    /// It has nothing to answer with.
    #[error("it has no words of its own to answer with")]
    NoWords,
}

#[derive(Deserialize)]
struct Tokenizer {
    added_tokens: Vec<AddedToken>,
}

#[derive(Deserialize)]
struct AddedToken {
    id: usize,
    special: bool,
}

/// The files of a tiny model by their names, without those of its tokenizer. `tokenizer` is the content of `tokenizer.json`.
pub fn files(
    architecture: Architecture,
    tokenizer: &[u8],
) -> Result<BTreeMap<&'static str, Vec<u8>>, TokenizerError> {
    let first_word = first_word(tokenizer)?;
    let shown = |value: &BTreeMap<&str, Value>| {
        Ok::<_, serde_json::Error>(serde_json::to_string_pretty(value)? + "\n")
    };
    let generation =
        BTreeMap::from([("bos_token_id", json!(1)), ("eos_token_id", json!(2)), ("pad_token_id", json!(2))]);
    Ok(BTreeMap::from([
        ("config.json", shown(&configuration(architecture))?.into_bytes()),
        ("generation_config.json", shown(&generation)?.into_bytes()),
        ("model.safetensors", safetensors::bytes(&weights(architecture, first_word))?),
    ]))
}

/// The first of the tokens that are words: the ones before it are single bytes and the like, of which no text is made.
fn first_word(tokenizer: &[u8]) -> Result<usize, TokenizerError> {
    let tokenizer: Tokenizer = serde_json::from_slice(tokenizer)?;
    let last = tokenizer.added_tokens.iter().map(|token| token.id + 1).max().unwrap_or(0);
    if last != VOCABULARY {
        return Err(TokenizerError::Size(last));
    }
    let words = tokenizer.added_tokens.iter().filter(|token| !token.special);
    words.map(|token| token.id).min().ok_or(TokenizerError::NoWords)
}

/// `config.json`, in the order of its keys.
fn configuration(architecture: Architecture) -> BTreeMap<&'static str, Value> {
    let mut values = BTreeMap::from([
        ("attention_bias", json!(false)),
        ("bos_token_id", json!(1)),
        ("eos_token_id", json!(2)),
        ("head_dim", json!(HEAD)),
        ("hidden_act", json!("silu")),
        ("hidden_size", json!(HIDDEN)),
        ("intermediate_size", json!(INTERMEDIATE)),
        ("max_position_embeddings", json!(CONTEXT)),
        ("model_type", json!(architecture.name())),
        ("num_attention_heads", json!(HEADS)),
        ("num_hidden_layers", json!(LAYERS)),
        ("num_key_value_heads", json!(KEY_HEADS)),
        ("pad_token_id", json!(2)),
        ("rms_norm_eps", json!(1e-5)),
        ("rope_theta", json!(10_000.0)),
        ("tie_word_embeddings", json!(false)),
        ("torch_dtype", json!("float32")),
        ("vocab_size", json!(VOCABULARY)),
    ]);
    match architecture {
        Architecture::Llama => {
            values.insert("architectures", json!(["LlamaForCausalLM"]));
            values.insert("mlp_bias", json!(false));
        }
        Architecture::Qwen3 => {
            values.insert("architectures", json!(["Qwen3ForCausalLM"]));
            values.insert("max_window_layers", json!(LAYERS));
            values.insert("sliding_window", Value::Null);
            values.insert("use_sliding_window", json!(false));
        }
    }
    values
}

fn weights(architecture: Architecture, first_word: usize) -> BTreeMap<String, Tensor> {
    let random = |name: &str, rows: usize, columns: usize, scale: f32| Tensor {
        shape: vec![rows, columns],
        values: random(architecture, name, rows * columns, scale),
    };
    let mut weights = BTreeMap::new();
    let mut add = |name: String, tensor: Tensor| {
        weights.insert(name, tensor);
    };
    let mut head = random("lm_head.weight", VOCABULARY, HIDDEN, 0.3);
    head.values.iter_mut().take(first_word * HIDDEN).for_each(|value| *value = 0.0);
    add("lm_head.weight".to_owned(), head);
    add("model.embed_tokens.weight".to_owned(), random("model.embed_tokens.weight", VOCABULARY, HIDDEN, 0.6));
    add("model.norm.weight".to_owned(), constant(HIDDEN, 1.0));
    for layer in 0..LAYERS {
        for (part, rows, columns, scale) in [
            ("self_attn.q_proj", HEADS * HEAD, HIDDEN, 0.15),
            ("self_attn.k_proj", KEY_HEADS * HEAD, HIDDEN, 0.15),
            ("self_attn.v_proj", KEY_HEADS * HEAD, HIDDEN, 0.09),
            ("self_attn.o_proj", HIDDEN, HEADS * HEAD, 0.09),
            ("mlp.gate_proj", INTERMEDIATE, HIDDEN, 0.09),
            ("mlp.up_proj", INTERMEDIATE, HIDDEN, 0.09),
            ("mlp.down_proj", HIDDEN, INTERMEDIATE, 0.1),
        ] {
            let name = format!("model.layers.{layer}.{part}.weight");
            let tensor = random(&name, rows, columns, scale);
            add(name, tensor);
        }
        for part in ["input_layernorm", "post_attention_layernorm"] {
            add(format!("model.layers.{layer}.{part}.weight"), constant(HIDDEN, 1.0));
        }
        if architecture == Architecture::Qwen3 {
            // Normalised queries and keys are as large as these say.
            add(format!("model.layers.{layer}.self_attn.q_norm.weight"), constant(HEAD, 2.0));
            add(format!("model.layers.{layer}.self_attn.k_norm.weight"), constant(HEAD, 1.5));
        }
    }
    weights
}

fn constant(length: usize, value: f32) -> Tensor {
    Tensor { shape: vec![length], values: vec![value; length] }
}

/// Numbers around zero, near enough to normally distributed. Each tensor has a sequence of its own, by its name.
fn random(architecture: Architecture, name: &str, count: usize, scale: f32) -> Vec<f32> {
    let seed = blake3::hash(format!("testbed tiny {} {name}", architecture.name()).as_bytes());
    let mut sequence = ChaCha8Rng::from_seed(*seed.as_bytes());
    let factor = scale / DEVIATION;
    let mut halves = || {
        let number = sequence.next_u32();
        [number & 0xffff, number >> 16].map(i64::from).iter().sum::<i64>()
    };
    let mut next = || {
        let sum = halves() + halves() - 2 * 0xffff;
        #[expect(clippy::cast_precision_loss, reason = "18 bits are exact")]
        let sum = sum as f32;
        sum * factor
    };
    (0..count).map(|_| next()).collect()
}

#[cfg(test)]
mod tests;
