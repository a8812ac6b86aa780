//! What observations of a series make of its view.
