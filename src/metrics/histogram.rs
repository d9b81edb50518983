//! Counts between fixed edges.

use super::Exposition;

/// A histogram of durations in seconds, with the same edges on every host, so that it can be added up over hosts.
#[derive(Clone, Debug)]
pub struct Histogram {
    edges: &'static [f64],
    /// Of each bucket by itself; the last has what is above all edges.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    /// An empty one with these upper edges, ascending.
    pub fn new(edges: &'static [f64]) -> Self {
        Self { edges, counts: vec![0; edges.len() + 1], sum: 0.0 }
    }

    /// Counts one, s.
    pub fn observe(&mut self, seconds: f64) {
        let bucket = self.edges.iter().position(|edge| seconds <= *edge).unwrap_or(self.edges.len());
        self.counts[bucket] += 1;
        self.sum += seconds;
    }

    /// Adds many at once: cumulative counts at the edges, as many as there are edges, then how many there are in all and
    /// their sum, s.
    pub fn add(&mut self, cumulative: &[u64], count: u64, sum: f64) {
        let mut below = 0;
        let all = cumulative.iter().copied().chain([count]);
        for (bucket, total) in self.counts.iter_mut().zip(all) {
            *bucket += total.saturating_sub(below);
            below = total.max(below);
        }
        self.sum += sum;
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum, s.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Writes its samples.
    pub fn write(&self, name: &str, labels: &[(&str, &str)], text: &mut Exposition) {
        text.histogram(name, labels, self.edges, &self.counts, self.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_by_one_and_at_once_are_the_same() {
        let (mut single, mut many) = (Histogram::new(&[0.1, 1.0]), Histogram::new(&[0.1, 1.0]));
        for seconds in [0.1, 0.5, 1.0, 2.0, 0.0] {
            single.observe(seconds);
        }
        many.add(&[1, 2], 3, 3.1);
        many.add(&[1, 2], 2, 0.5);
        assert_eq!((&single.counts, single.sum), (&many.counts, 3.6));
        assert_eq!(single.counts, [2, 2, 1]);
    }
}
