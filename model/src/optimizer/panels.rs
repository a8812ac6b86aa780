//! A table of numbers in blocks of rows, so that a block of every column lies together in the cache and loops over it
//! have a length the compiler knows.

/// Rows of a block.
pub(crate) const BLOCK: usize = 64;

/// One column's values in a block.
pub(crate) type Lane = [f64; BLOCK];

/// Columns of equal length, block after block; zero beyond the last row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Panels {
    rows: usize,
    width: usize,
    lanes: Vec<Lane>,
}

impl Panels {
    /// `width` columns of zeros.
    pub(crate) fn new(rows: usize, width: usize) -> Self {
        Self {
            rows,
            width,
            lanes: vec![[0.0; BLOCK]; rows.div_ceil(BLOCK) * width],
        }
    }

    /// The columns as given, each of one length.
    pub(crate) fn from_columns(rows: usize, columns: &[&[f64]]) -> Self {
        let mut panels = Self::new(rows, columns.len());
        for (c, column) in columns.iter().enumerate() {
            panels.set_column(c, column);
        }
        panels
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn blocks(&self) -> usize {
        self.rows.div_ceil(BLOCK)
    }

    /// How many rows block `b` has.
    pub(crate) fn rows_of(&self, b: usize) -> usize {
        (self.rows - b * BLOCK).min(BLOCK)
    }

    /// The lanes of block `b`, one for each column.
    pub(crate) fn block(&self, b: usize) -> &[Lane] {
        &self.lanes[b * self.width..(b + 1) * self.width]
    }

    pub(crate) fn block_mut(&mut self, b: usize) -> &mut [Lane] {
        &mut self.lanes[b * self.width..(b + 1) * self.width]
    }

    pub(crate) fn set_column(&mut self, c: usize, values: &[f64]) {
        for (b, values) in values.chunks(BLOCK).take(self.blocks()).enumerate() {
            self.block_mut(b)[c][..values.len()].copy_from_slice(values);
        }
    }

    #[cfg(test)]
    pub(crate) fn get(&self, row: usize, c: usize) -> f64 {
        self.block(row / BLOCK)[c][row % BLOCK]
    }
}
