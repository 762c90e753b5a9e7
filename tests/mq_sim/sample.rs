//! Means, quantiles and 95 % intervals of what many simulated queues came to.

/// Numbers drawn one by one.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    values: Vec<f64>,
}

impl Sample {
    /// Takes one more.
    pub fn add(&mut self, value: f64) {
        self.values.push(value);
    }

    /// Takes all of `values`.
    pub fn extend(&mut self, values: &[f64]) {
        self.values.extend_from_slice(values);
    }

    /// Their mean.
    pub fn mean(&self) -> f64 {
        self.values.iter().sum::<f64>() / self.values.len().max(1) as f64
    }

    /// Half the width of the 95 % interval of the mean.
    pub fn spread(&self) -> f64 {
        let (n, mean) = (self.values.len() as f64, self.mean());
        let variance = self.values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        1.96 * (variance / n.max(1.0)).sqrt()
    }

    /// The value below which a share `part` of them lies.
    pub fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1) as f64;
        sorted.get((part * last).round() as usize).copied().unwrap_or(f64::NAN)
    }
}

/// The 95 % interval (Wilson) of a share, of which `hits` of `n` were seen.
pub fn share(hits: usize, n: usize) -> (f64, f64) {
    let (z, n) = (1.96_f64, n as f64);
    let p = hits as f64 / n;
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), middle + half)
}
