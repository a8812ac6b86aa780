//! What Loadcast costs. Each module measures one thing and returns its figures by name.

pub mod fanout;
