//! A tiny model is what an engine wants, and what it says is a text.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use testbed_model::models::Architecture;

use super::{CONTEXT, HEAD, HEADS, HIDDEN, INTERMEDIATE, LAYERS, VOCABULARY, files, first_word};

fn tokenizer() -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny/tokenizer.json")).unwrap()
}

/// A model as an engine has it in memory, and the few functions that make an answer of it.
struct Engine {
    architecture: Architecture,
    weights: Vec<u8>,
}

impl Engine {
    fn of(architecture: Architecture) -> Self {
        let weights = files(architecture, &tokenizer()).unwrap().remove("model.safetensors").unwrap();
        Self { architecture, weights }
    }

    fn tensor(&self, name: &str) -> Vec<f32> {
        let tensors = SafeTensors::deserialize(&self.weights).unwrap();
        let data = tensors.tensor(name).unwrap().data().to_vec();
        data.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
    }

    /// The tokens of the greatest logits, one after the other.
    fn greedy(&self, prompt: &[usize], count: usize) -> Vec<usize> {
        let (embed, head) = (self.tensor("model.embed_tokens.weight"), self.tensor("lm_head.weight"));
        let layers: Vec<Layer> = (0..LAYERS).map(|layer| Layer::of(self, layer)).collect();
        let mut caches: Vec<Vec<(Vec<f32>, Vec<f32>)>> = vec![Vec::new(); LAYERS];
        let mut tokens = prompt.to_vec();
        let mut at = 0;
        while tokens.len() < prompt.len() + count {
            let mut hidden = embed[tokens[at] * HIDDEN..(tokens[at] + 1) * HIDDEN].to_vec();
            for (layer, cache) in layers.iter().zip(&mut caches) {
                hidden = layer.forward(&hidden, at, cache);
            }
            at += 1;
            if at == tokens.len() {
                let logits = multiplied(&head, &normalised(&hidden, 1.0));
                let best = (0..VOCABULARY).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
                tokens.push(best);
            }
        }
        tokens.split_off(prompt.len())
    }
}

struct Layer {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    o: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    down: Vec<f32>,
    /// How large queries and keys are made, where they are.
    sizes: Option<(f32, f32)>,
}

impl Layer {
    fn of(engine: &Engine, layer: usize) -> Self {
        let part = |part: &str| engine.tensor(&format!("model.layers.{layer}.{part}.weight"));
        let sizes = (engine.architecture == Architecture::Qwen3)
            .then(|| (part("self_attn.q_norm")[0], part("self_attn.k_norm")[0]));
        Self {
            q: part("self_attn.q_proj"),
            k: part("self_attn.k_proj"),
            v: part("self_attn.v_proj"),
            o: part("self_attn.o_proj"),
            gate: part("mlp.gate_proj"),
            up: part("mlp.up_proj"),
            down: part("mlp.down_proj"),
            sizes,
        }
    }

    fn forward(&self, hidden: &[f32], at: usize, cache: &mut Vec<(Vec<f32>, Vec<f32>)>) -> Vec<f32> {
        let input = normalised(hidden, 1.0);
        let sized =
            |head: &[f32], size: Option<f32>| size.map_or(head.to_vec(), |size| normalised(head, size));
        let q = multiplied(&self.q, &input);
        let k = turned(&sized(&multiplied(&self.k, &input), self.sizes.map(|sizes| sizes.1)), at);
        cache.push((k, multiplied(&self.v, &input)));
        let mut attended = Vec::new();
        for head in 0..HEADS {
            let q = turned(&sized(&q[head * HEAD..(head + 1) * HEAD], self.sizes.map(|sizes| sizes.0)), at);
            let scores: Vec<f32> = cache.iter().map(|(k, _)| dot(&q, k) / 8.0).collect();
            let most = scores.iter().copied().fold(f32::MIN, f32::max);
            let shares: Vec<f32> = scores.iter().map(|score| (score - most).exp()).collect();
            let all: f32 = shares.iter().sum();
            attended.extend((0..HEAD).map(|i| {
                shares.iter().zip(cache.iter()).map(|(share, (_, v))| share / all * v[i]).sum::<f32>()
            }));
        }
        let hidden = added(hidden, &multiplied(&self.o, &attended));
        let input = normalised(&hidden, 1.0);
        let (gate, up) = (multiplied(&self.gate, &input), multiplied(&self.up, &input));
        let inner: Vec<f32> = gate.iter().zip(&up).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect();
        assert_eq!(inner.len(), INTERMEDIATE);
        added(&hidden, &multiplied(&self.down, &inner))
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn added(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn multiplied(matrix: &[f32], vector: &[f32]) -> Vec<f32> {
    matrix.chunks_exact(vector.len()).map(|row| dot(row, vector)).collect()
}

#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn normalised(vector: &[f32], size: f32) -> Vec<f32> {
    let mean = dot(vector, vector) / vector.len() as f32;
    vector.iter().map(|value| value / (mean + 1e-5).sqrt() * size).collect()
}

/// A head's vector turned by its position.
#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn turned(vector: &[f32], at: usize) -> Vec<f32> {
    let half = vector.len() / 2;
    let angle = |i: usize| at as f32 / 10_000_f32.powf(i as f32 / half as f32);
    let first = (0..half).map(|i| vector[i] * angle(i).cos() - vector[i + half] * angle(i).sin());
    let second = (0..half).map(|i| vector[i + half] * angle(i).cos() + vector[i] * angle(i).sin());
    first.chain(second).collect()
}

#[test]
fn the_weights_are_those_that_the_architecture_has() {
    for architecture in Architecture::ALL {
        let engine = Engine::of(architecture);
        let tensors = SafeTensors::deserialize(&engine.weights).unwrap();
        let shapes: Vec<String> = {
            let mut rows: Vec<String> =
                tensors.iter().map(|(name, view)| format!("{name} {:?}", view.shape())).collect();
            rows.sort();
            rows
        };
        insta::assert_snapshot!(architecture.name(), shapes.join("\n"));
    }
}

#[test]
fn the_configuration_says_what_the_weights_are() {
    for architecture in Architecture::ALL {
        let files = files(architecture, &tokenizer()).unwrap();
        insta::assert_snapshot!(
            format!("{}-config", architecture.name()),
            String::from_utf8(files["config.json"].clone()).unwrap()
        );
    }
    assert_eq!((CONTEXT, HEAD), (2048, 64));
}

#[test]
fn a_greedy_answer_is_made_of_words_that_differ_and_depends_on_what_was_asked() {
    let first_word = first_word(&tokenizer()).unwrap();
    for architecture in Architecture::ALL {
        let engine = Engine::of(architecture);
        let prompts: [&[usize]; 3] = [&[3, 120, 45, 300, 2, 4], &[3, 120, 46, 300, 2, 4], &[3, 7, 2, 4]];
        let answers: Vec<Vec<usize>> = prompts.iter().map(|prompt| engine.greedy(prompt, 24)).collect();
        for answer in &answers {
            assert!(answer.iter().all(|token| *token >= first_word), "{architecture:?}: {answer:?}");
            let distinct: BTreeSet<&usize> = answer.iter().collect();
            assert!(distinct.len() > 16, "{architecture:?}: {} tokens of 24: {answer:?}", distinct.len());
        }
        assert_ne!(answers[0], answers[1], "{architecture:?}: one token of the prompt changes nothing");
        assert_eq!(engine.greedy(prompts[0], 24), answers[0]);
    }
}

#[test]
fn a_tokenizer_that_the_weights_do_not_fit_is_refused() {
    let told = |text: &str| files(Architecture::Llama, text.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        told(r#"{"added_tokens": [{"id": 1, "special": false}]}"#),
        "it has 2 tokens, and a tiny model has 2048"
    );
    assert_eq!(
        told(r#"{"added_tokens": [{"id": 2047, "special": true}]}"#),
        "it has no words of its own to answer with"
    );
    assert!(told("{}").starts_with("it cannot be read: "));
}
