//! How long a loop that looks for news rests: short while there is some, longer and longer while there is none.

/// The rests of a loop, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    shortest: u64,
    longest: u64,
    next: u64,
}

impl Pace {
    /// Rests from `shortest` up to `longest`.
    #[must_use]
    pub fn new(shortest: u64, longest: u64) -> Self {
        let shortest = shortest.max(1);
        Self { shortest, longest: longest.max(shortest), next: shortest }
    }

    /// The rest after a look, `has_news` when something moved: the shortest then, else twice the one before. `chance`,
    /// any number, moves it by up to a tenth either way, so that machines that began together do not stay together.
    pub fn rest(&mut self, has_news: bool, chance: u64) -> u64 {
        if has_news {
            self.next = self.shortest;
        }
        let rest = self.next;
        self.next = rest.saturating_mul(2).min(self.longest);
        let spread = rest / 10;
        rest - spread + chance % (2 * spread + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_the_longest_and_news_make_them_short_again() {
        let mut pace = Pace::new(30, 600);
        let rests: Vec<u64> = (0..7).map(|_| pace.rest(false, 3)).collect();
        assert_eq!(rests, [30, 57, 111, 219, 435, 543, 543], "each less a tenth, and three more");
        assert_eq!(pace.rest(true, 3), 30);
        assert_eq!(pace.rest(false, 3), 57);
    }

    #[test]
    fn chance_moves_a_rest_by_a_tenth_at_most() {
        for chance in 0..1_000 {
            let rest = Pace::new(1_000, 1_000).rest(false, chance);
            assert!((900..=1_100).contains(&rest), "{rest}");
        }
        assert_eq!(Pace::new(0, 0).rest(false, 7), 1);
    }
}
