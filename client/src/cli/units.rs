//! Values as people read them: `1.82 cores`, `3.40 GiB`, `12.5k/s`, `45.2 %`.

/// One factor and one suffix for all values that are shown together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    divisor: f64,
    /// Directly after the number: `k`.
    prefix: &'static str,
    /// After it: ` GiB`, `/s`.
    suffix: Suffix,
}

/// What follows a number.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Suffix(&'static str);

const BYTES: [(f64, &str); 6] = [
    (1.0, " B"),
    (1024.0, " KiB"),
    (1_048_576.0, " MiB"),
    (1_073_741_824.0, " GiB"),
    (1_099_511_627_776.0, " TiB"),
    (1_125_899_906_842_624.0, " PiB"),
];

const THOUSANDS: [(f64, &str); 5] = [(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")];

impl Scale {
    /// A scale that suits a largest magnitude. Only bytes have a unit of their own for each size; a unit that is not
    /// known is shown as a bare number.
    pub(crate) fn of(unit: Option<&str>, largest: f64) -> Self {
        let pick = |steps: &[(f64, &'static str)]| {
            steps
                .iter()
                .rev()
                .find(|(divisor, _)| largest.abs() >= *divisor)
                .or_else(|| steps.first())
                .copied()
                .unwrap_or((1.0, ""))
        };
        if unit == Some("bytes") {
            let (divisor, suffix) = pick(&BYTES);
            return Self {
                divisor,
                prefix: "",
                suffix: Suffix(suffix),
            };
        }
        let suffix = match unit {
            Some("cores") => " cores",
            Some("1/s") => "/s",
            Some("percent") => " %",
            _ => "",
        };
        // Up to 10,000 the number itself reads better than a prefix.
        let (divisor, prefix) = if largest.abs() < 1e4 {
            (1.0, "")
        } else {
            pick(&THOUSANDS)
        };
        Self {
            divisor,
            prefix,
            suffix: Suffix(suffix),
        }
    }

    /// The scale for all of these together.
    pub(crate) fn for_values<'a>(
        unit: Option<&str>,
        values: impl IntoIterator<Item = &'a f64>,
    ) -> Self {
        let largest = values
            .into_iter()
            .fold(0.0_f64, |largest, value| largest.max(value.abs()));
        Self::of(unit, largest)
    }

    /// A value in this scale.
    pub(crate) fn scaled(self, value: f64) -> f64 {
        value / self.divisor
    }

    /// `1.82 cores`, for a value in the series' unit.
    pub(crate) fn with_unit(self, value: f64) -> String {
        self.scaled_with_unit(self.scaled(value))
    }

    /// The same for a value that is in this scale already.
    pub(crate) fn scaled_with_unit(self, scaled: f64) -> String {
        format!("{}{}{}", number(scaled), self.prefix, self.suffix.0)
    }

    /// `1.82`; the unit is clear from what stands beside it.
    pub(crate) fn bare(self, value: f64) -> String {
        format!("{}{}", number(self.scaled(value)), self.prefix)
    }
}

/// Three figures, and never `-0.00`.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 1e15 => return format!("{value:.1e}"),
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 || size == 0.0 => 2,
        size if size >= 0.001 => 4,
        _ => return format!("{value:.1e}"),
    };
    let text = format!("{value:.decimals$}");
    let nothing = text.chars().all(|c| matches!(c, '-' | '0' | '.'));
    match text.strip_prefix('-') {
        Some(positive) if nothing => positive.to_owned(),
        _ => text,
    }
}

/// Bytes of a file.
pub(crate) fn bytes(size: u64) -> String {
    // Beyond 2^53 the last digits are lost, and nobody reads them.
    let size = size.to_string().parse().unwrap_or(f64::MAX);
    Scale::of(Some("bytes"), size).with_unit(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(unit: Option<&str>, value: f64) -> String {
        Scale::of(unit, value).with_unit(value)
    }

    #[test]
    fn values_read_like_the_unit() {
        assert_eq!(alone(Some("cores"), 1.8249), "1.82 cores");
        assert_eq!(alone(Some("bytes"), 3.65e9), "3.40 GiB");
        assert_eq!(alone(Some("bytes"), 512.0), "512 B");
        assert_eq!(alone(Some("bytes"), 0.0), "0.00 B");
        assert_eq!(alone(Some("1/s"), 12_500.0), "12.5k/s");
        assert_eq!(alone(Some("1/s"), 9_500.0), "9500/s");
        assert_eq!(alone(Some("percent"), 45.23), "45.2 %");
        assert_eq!(alone(Some("1"), 17.0), "17.0");
        assert_eq!(alone(None, 0.012), "0.0120");
        assert_eq!(alone(None, 1e-9), "1.0e-9");
        assert_eq!(alone(Some("cores"), -0.25), "-0.25 cores");
    }

    #[test]
    fn what_nobody_can_read_is_short() {
        assert_eq!(alone(None, f64::MAX), "1.8e296T");
        assert_eq!(alone(Some("bytes"), f64::MAX), "1.6e293 PiB");
    }

    #[test]
    fn nothing_has_no_sign() {
        assert_eq!(alone(None, -0.0), "0.00");
        assert_eq!(Scale::of(None, 500.0).bare(-0.0), "0.00");
    }

    #[test]
    fn values_shown_together_share_a_unit() {
        let scale = Scale::for_values(Some("bytes"), &[1.0e6, 4.0e9]);
        assert_eq!(scale.with_unit(4.0e9), "3.73 GiB");
        assert_eq!(scale.with_unit(1.0e6), "9.3e-4 GiB");
        assert_eq!(scale.scaled_with_unit(scale.scaled(4.0e9)), "3.73 GiB");
    }

    #[test]
    fn sizes_of_files() {
        assert_eq!(bytes(0), "0.00 B");
        assert_eq!(bytes(81_920), "80.0 KiB");
        assert_eq!(bytes(u64::MAX), "16384 PiB");
    }
}
