//! The nearest known name to one that is not known, for "did you mean".

/// The candidate nearest to `name`, if one is near enough that a person could have meant it: an edit distance
/// (Damerau-Levenshtein) of at most a third of the longer name, rounded up.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= name.chars().count().max(candidate.chars().count()).div_ceil(3)
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// `name` is unknown: a phrase that offers the nearest candidate, or lists what there is.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(candidate) = nearest(name, candidates.clone()) {
        return format!("did you mean `{candidate}`?");
    }
    let mut known: Vec<&str> = candidates.into_iter().collect();
    known.sort_unstable();
    if known.is_empty() { "there is none".to_owned() } else { format!("known: `{}`", known.join("`, `")) }
}

#[cfg(test)]
mod tests {
    use super::{did_you_mean, nearest};

    const PROFILES: [&str; 3] = ["mocker", "mocker-disagg", "vllm-agg"];

    #[test]
    fn a_transposition_finds_its_neighbour() {
        assert_eq!(nearest("mokcer", PROFILES), Some("mocker"));
    }

    #[test]
    fn a_name_that_nobody_could_have_meant_finds_nothing() {
        assert_eq!(nearest("kubernetes", PROFILES), None);
    }

    #[test]
    fn without_a_neighbour_the_known_names_are_listed_in_order() {
        assert_eq!(did_you_mean("x", PROFILES), "known: `mocker`, `mocker-disagg`, `vllm-agg`");
    }
}
