//! How pages look.

/// A stylesheet without anything to fetch.
pub(super) const STYLE: &str = "
:root { --ink: #1f2328; --quiet: #59636e; --line: #d0d7de; --ground: #f6f8fa; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 14px/1.5 system-ui, -apple-system, 'Segoe UI', sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 24px 16px 64px; }
section { background: #fff; border: 1px solid var(--line); border-radius: 8px; padding: 20px 24px; margin-bottom: 24px; }
h1 { font-size: 22px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 16px; margin: 28px 0 8px; padding-top: 12px; border-top: 1px solid var(--line); }
h1 .pill { vertical-align: 3px; margin-left: 10px; }
p { margin: 6px 0; }
.quiet { color: var(--quiet); }
.lead { font-size: 15px; }
.lead li { margin: 2px 0; }
ul.lead { margin: 8px 0; padding-left: 20px; }
.pill { display: inline-block; padding: 1px 9px; border-radius: 10px; font-size: 12px; font-weight: 600; white-space: nowrap; background: #eaeef2; }
.good { background: #dafbe1; color: #116329; }
.warn { background: #fff8c5; color: #7d4e00; }
.bad { background: #ffebe9; color: #a40e26; }
.alarm { padding: 10px 14px; border-left: 4px solid #cf222e; background: #ffebe9; font-weight: 600; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: 5px 10px 5px 0; border-bottom: 1px solid #eaeef2; }
th { color: var(--quiet); font-weight: 600; border-bottom-color: var(--line); white-space: nowrap; }
td:first-child { white-space: nowrap; }
.number { text-align: right; padding-right: 16px; white-space: nowrap; }
tr.passed td { color: var(--quiet); }
dl { display: grid; grid-template-columns: max-content 1fr max-content 1fr; gap: 2px 14px; margin: 12px 0 0; font-size: 13px; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
svg { display: block; width: 100%; height: auto; margin: 10px 0; border: 1px solid #eaeef2; border-radius: 6px; }
a { color: #0b62c4; text-decoration: none; }
@media (max-width: 700px) { dl { grid-template-columns: max-content 1fr; } section { padding: 14px; } }
";
