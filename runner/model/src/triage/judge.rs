//! Judging: the first rule that fits decides.

use super::account::Account;
use super::fact::{Fact, FactKind};
use super::hearing::{Triage, Trouble};
use super::rule::{Rule, Rules, SubjectKind, fits};
use super::{Cause, Diagnosis, Evidence, Subject};

/// Whose fault it is that a service ended unasked, by its last lines.
pub(super) fn death(exit_code: i64, memory: bool, log: &[String]) -> Cause {
    let mut account = Account::default();
    account.hear(log.iter().map(String::as_str));
    let rules = &Rules::of_this_version().rules;
    let of_deaths = rules
        .iter()
        .filter(|rule| rule.of.contains(&SubjectKind::Service) && rule.fact.contains(&FactKind::ServiceDied));
    let mut fitting = of_deaths.filter(|rule| ended_so(rule, Some(exit_code), memory, &account));
    fitting.next().and_then(|rule| rule.cause.cause()).unwrap_or(Cause::Product)
}

impl Triage {
    pub(super) fn judge(&self) -> Vec<Diagnosis> {
        let (whole, parts): (Vec<_>, Vec<_>) =
            self.troubles.iter().partition(|trouble| trouble.subject == Subject::Run);
        let mut all: Vec<Diagnosis> =
            parts.into_iter().filter_map(|trouble| self.conclude(trouble)).collect();
        // A run that broke has a cause of its own only where none of its parts says why.
        let explained = all.iter().any(|one| one.cause.excuses() || matches!(one.subject, Subject::Stack(_)));
        if !explained {
            all.extend(whole.into_iter().filter_map(|trouble| self.conclude(trouble)));
        }
        all
    }

    fn conclude(&self, trouble: &Trouble) -> Option<Diagnosis> {
        Rules::of_this_version().rules.iter().find_map(|rule| self.apply(rule, trouble))
    }

    fn apply(&self, rule: &'static Rule, trouble: &Trouble) -> Option<Diagnosis> {
        if !rule.of.contains(&kind_of(&trouble.subject))
            || trouble
                .outcome
                .is_some_and(|outcome| !rule.outcomes.is_empty() && !rule.outcomes.contains(&outcome))
        {
            return None;
        }
        // First what is quickest: most runs have no facts.
        let fact = if rule.fact.is_empty() {
            None
        } else {
            Some(self.facts.iter().rev().find(|fact| shows(rule, fact, trouble))?)
        };
        let own = trouble.account.own(&rule.account);
        let meanwhile = trouble.account.of_service(&rule.meanwhile);
        let asks = !rule.account.is_empty() || !rule.meanwhile.is_empty();
        if asks && own.is_none() && meanwhile.is_none() {
            return None;
        }
        let mut evidence: Vec<Evidence> = fact.map(|fact| of_fact(rule, fact)).unwrap_or_default();
        let (mut cause, mut because, mut name) =
            (rule.cause.cause(), rule.because.clone(), rule.name.as_str());
        if cause.is_none() {
            let origin = self.origin(fact?)?;
            (cause, name, evidence) = (Some(origin.cause), origin.rule, origin.evidence);
            because = format!("{because}: {}", origin.because);
        }
        if let Some(line) = own {
            evidence.push(trouble.quote("message", line));
        }
        if let Some((service, line)) = meanwhile {
            evidence.push(trouble.quote(&format!("log of `{service}`"), line));
        }
        if evidence.is_empty() {
            let gist = trouble.account.gist.as_deref().filter(|gist| !gist.is_empty());
            evidence.extend(gist.map(|gist| trouble.quote("message", gist)));
        }
        let subject = trouble.subject.clone();
        Some(Diagnosis { subject, cause: cause?, rule: name, because, evidence })
    }

    /// What is concluded of that which the fact itself is about.
    fn origin(&self, fact: &Fact) -> Option<Diagnosis> {
        // Never a case: cases inherit, and nothing inherits from them.
        let of_fact = |trouble: &&Trouble| {
            trouble.seq == fact.seq && !matches!(trouble.subject, Subject::Run | Subject::Case { .. })
        };
        self.conclude(self.troubles.iter().find(of_fact)?)
    }
}

/// Whether a fact is one that the rule asks for, and has to do with what is judged.
fn shows(rule: &Rule, fact: &Fact, trouble: &Trouble) -> bool {
    rule.fact.contains(&fact.kind)
        && in_time(rule, fact, trouble)
        && concerns(fact, trouble)
        && ended_so(rule, fact.exit_code, fact.memory, &fact.log)
        && (rule.says.is_empty() || {
            let words = fact.words.to_lowercase();
            rule.says.iter().any(|pattern| fits(pattern, &words))
        })
}

/// Whether the end of a fact's service is one that the rule asks for.
fn ended_so(rule: &Rule, exit_code: Option<i64>, memory: bool, log: &Account) -> bool {
    let listed =
        |list: &Option<String>| list.as_ref().map(|list| log.own(std::slice::from_ref(list)).is_some());
    (rule.exit_codes.is_empty() || exit_code.is_some_and(|code| rule.exit_codes.contains(&code)))
        && rule.memory.is_none_or(|asked| asked == memory)
        && listed(&rule.log).unwrap_or(true)
        && !listed(&rule.no_log).unwrap_or(false)
}

/// Whether a fact has to do with what is judged.
fn concerns(fact: &Fact, trouble: &Trouble) -> bool {
    let of_stack = trouble.stack.as_deref().is_some_and(|profile| fact.is_of_stack(profile));
    let words = trouble.account.gist.as_deref().unwrap_or_default();
    match &trouble.subject {
        Subject::Case { lane, .. } => match fact.kind {
            FactKind::ServiceDied => of_stack,
            _ => {
                fact.lane.as_ref() == Some(lane)
                    || (fact.lane.is_some() && fact.service.is_some() && of_stack)
            }
        },
        Subject::Lane(lane) => match fact.kind {
            FactKind::ServiceDied => {
                let named = fact.service.as_ref().map(|service| format!("`{service}`"));
                of_stack && named.is_some_and(|name| words.contains(&name))
            }
            _ if fact.lane.is_some() => {
                fact.lane.as_ref() == Some(lane) || (fact.service.is_some() && of_stack)
            }
            _ => of_stack && words.contains("did not come up"),
        },
        Subject::Stack(_) => {
            let same = fact.kind != FactKind::ServiceDied
                || fact.service == trouble.service
                || trouble.service.is_none();
            of_stack && fact.lane.is_none() && same
        }
        Subject::Service { .. } => of_stack && fact.seq == trouble.seq,
        Subject::Run => fact.stack.is_none() && fact.lane.is_none(),
    }
}

/// Whether a fact lies where the rule looks. What is judged as a whole looks at all that came before its end.
fn in_time(rule: &Rule, fact: &Fact, trouble: &Trouble) -> bool {
    let latest = trouble.to_us.saturating_add(rule.after_ms.saturating_mul(1000));
    let earliest = match trouble.subject {
        Subject::Case { .. } => trouble.from_us.saturating_sub(rule.before_ms.saturating_mul(1000)),
        _ => 0,
    };
    (earliest..=latest).contains(&fact.elapsed_us)
}

fn of_fact(rule: &Rule, fact: &Fact) -> Vec<Evidence> {
    let quote = |source: String, quote: &str| Evidence {
        at: fact.at,
        elapsed_us: fact.elapsed_us,
        seq: fact.seq,
        source,
        quote: quote.to_owned(),
    };
    let mut out = vec![quote("event".to_owned(), &fact.words)];
    if fact.kind == FactKind::ServiceDied {
        let source = fact.service.as_ref().map_or_else(String::new, |service| format!("log of `{service}`"));
        let mark = rule.log.as_ref().and_then(|list| fact.log.own(std::slice::from_ref(list)));
        out.extend(mark.map(|line| quote(source.clone(), line)));
        let last = fact.log.gist.as_deref().filter(|last| mark != Some(*last));
        out.extend(last.map(|line| quote(source, line)));
    }
    out
}

const fn kind_of(subject: &Subject) -> SubjectKind {
    match subject {
        Subject::Case { .. } => SubjectKind::Case,
        Subject::Lane(_) => SubjectKind::Lane,
        Subject::Stack(_) => SubjectKind::Stack,
        Subject::Service { .. } => SubjectKind::Service,
        Subject::Run => SubjectKind::Run,
    }
}
