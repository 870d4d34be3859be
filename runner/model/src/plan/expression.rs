//! Which cases of a pytest suite belong to a tier, in pytest's own language.

use crate::tier::Tier;

/// The marker expression of a tier: its own marker and those of all earlier tiers, in both spellings that the field uses.
/// `narrower` are the suite's and the user's expressions, which narrow it. `earliest` is the suite's own tier: only a suite that is part of
/// `precommit` asks for that marker, since no other has it.
pub fn tier_expression(tier: Tier, earliest: Tier, narrower: &[Option<&str>]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for contained in tier.contained() {
        if contained == Tier::Precommit && earliest != Tier::Precommit {
            continue;
        }
        for name in [contained.marker(), contained.name()] {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let of_tier = names.join(" or ");
    let narrower: String = narrower.iter().flatten().map(|own| format!(" and ({own})")).collect();
    if narrower.is_empty() { of_tier } else { format!("({of_tier}){narrower}") }
}

#[cfg(test)]
mod tests {
    use super::tier_expression;
    use crate::tier::Tier;

    #[test]
    fn a_tier_holds_the_earlier_ones_in_both_spellings() {
        let expression = |tier| tier_expression(tier, Tier::Premerge, &[None]);
        assert_eq!(expression(Tier::Premerge), "pre_merge or premerge");
        assert_eq!(expression(Tier::Postmerge), "pre_merge or premerge or post_merge or postmerge");
        assert_eq!(
            expression(Tier::Release),
            "pre_merge or premerge or post_merge or postmerge or nightly or weekly or release"
        );
        assert_eq!(tier_expression(Tier::Precommit, Tier::Precommit, &[]), "pre_commit or precommit");
    }

    #[test]
    fn a_suites_own_expression_narrows_and_never_widens() {
        assert_eq!(
            tier_expression(Tier::Premerge, Tier::Premerge, &[Some("a or b"), Some("c")]),
            "(pre_merge or premerge) and (a or b) and (c)"
        );
    }
}
