//! The parts of what an agent is told, and which of them are left out when all of it would be too long.

/// A part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub name: &'static str,
    /// Where it comes from.
    pub from: String,
    /// How much it matters: the least is left out first.
    pub weight: u8,
    /// What it says.
    pub text: String,
    /// What is said in its place: where to read it. None for what is never left out.
    pub instead: Option<String>,
    /// Whether it is left out.
    pub is_left_out: bool,
}

impl Part {
    /// How many characters it has in full.
    #[must_use]
    pub fn chars(&self) -> usize {
        self.text.chars().count()
    }

    /// What is told of it.
    #[must_use]
    pub fn told(&self) -> String {
        match &self.instead {
            Some(instead) if self.is_left_out => format!("[left out, {} characters of {}: {instead}]\n", self.chars(), self.name),
            _ => self.text.clone(),
        }
    }
}

/// Leaves out whole parts, those that matter least first, until `budget` characters hold what is told.
pub fn fit(parts: &mut [Part], budget: usize) {
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|n| (parts[*n].weight, std::cmp::Reverse(parts[*n].chars())));
    // An empty line stands between two parts.
    let mut total = parts.iter().map(|part| part.chars() + 1).sum::<usize>().saturating_sub(1);
    for n in order {
        if total <= budget {
            return;
        }
        let part = &mut parts[n];
        let full = part.chars();
        part.is_left_out = part.instead.is_some();
        let told = part.told().chars().count();
        part.is_left_out &= told < full;
        total -= if part.is_left_out { full - told } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &'static str, weight: u8, chars: usize) -> Part {
        let instead = (weight < 9).then(|| "gt show".to_owned());
        Part { name, from: String::new(), weight, text: "x".repeat(chars), instead, is_left_out: false }
    }

    fn left_out(budget: usize) -> Vec<&'static str> {
        let mut parts = [part("who", 9, 500), part("work", 5, 1_000), part("mail", 2, 30), part("memories", 1, 1_000)];
        fit(&mut parts, budget);
        let told: usize = parts.iter().map(|part| part.told().chars().count()).sum::<usize>() + 3;
        assert!(told <= budget || parts.iter().all(|part| part.is_left_out || part.instead.is_none() || part.chars() < 60));
        parts.iter().filter(|part| part.is_left_out).map(|part| part.name).collect()
    }

    #[test]
    fn what_matters_least_goes_first_and_what_an_agent_is_never_goes() {
        assert!(left_out(2_533).is_empty());
        assert_eq!(left_out(2_532), ["memories"]);
        assert_eq!(left_out(1_000), ["work", "memories"], "a notice longer than the part saves nothing");
        assert_eq!(left_out(1), ["work", "memories"]);
    }
}
