//! The screen that stays: draws each look, takes keys, and gives the terminal back however it ends.

use std::io;

use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures::StreamExt;
use loadcast_client::{Client, Error};
use ratatui::DefaultTerminal;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use crate::cli::failure::Failure;
use crate::cli::terminal::Terminal;
use crate::cli::top::look::{Look, Sort};
use crate::cli::top::view::{self, HEAD_ROWS};
use crate::cli::top::{Args, look};

/// What is shown now.
struct Shown {
    look: Option<Look>,
    /// Of the last look, where it failed: what was seen before stays.
    error: Option<Error>,
    sort: Sort,
    first: usize,
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Quit,
    Sort,
    Scroll(isize),
    Nothing,
}

/// Looks and draws until a key or a signal ends it.
pub(crate) async fn run(args: &Args, client: &Client, terminal: &Terminal) -> Result<(), Failure> {
    // The first look fails as any command does, before the screen is taken.
    let first = look(args, client).await?;
    let mut signals = [
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
        signal(SignalKind::hangup())?,
    ];
    let ended =
        futures::future::select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv())));
    // Restores the terminal in a panic too.
    let mut screen = ratatui::try_init()?;
    let outcome = tokio::select! {
        outcome = follow(args, client, first, terminal.colour, &mut screen) => outcome,
        _ = ended => Ok(()),
    };
    ratatui::try_restore()?;
    Ok(outcome?)
}

async fn follow(
    args: &Args,
    client: &Client,
    first: Look,
    colour: bool,
    screen: &mut DefaultTerminal,
) -> io::Result<()> {
    let mut shown = Shown {
        look: Some(first.sorted(args.sort)),
        error: None,
        sort: args.sort,
        first: 0,
    };
    let mut keys = EventStream::new();
    let next_look = || {
        let due = Instant::now() + args.interval;
        Box::pin(async move {
            sleep_until(due).await;
            look(args, client).await
        })
    };
    // Kept over keys: whoever scrolls all the time sees what is new all the same.
    let mut looking = next_look();
    loop {
        screen.draw(|frame| shown.draw(frame.buffer_mut(), colour))?;
        tokio::select! {
            event = keys.next() => match event {
                Some(event) => {
                    if shown.grant(wish(&event?), screen.size()?.height) {
                        return Ok(());
                    }
                }
                None => return Ok(()),
            },
            looked = &mut looking => {
                looking = next_look();
                match looked {
                    Ok(look) => {
                        shown.look = Some(look.sorted(shown.sort));
                        shown.error = None;
                    }
                    Err(error) => shown.error = Some(error),
                }
            }
        }
    }
}

fn wish(event: &Event) -> Wish {
    let Event::Key(KeyEvent {
        code,
        modifiers,
        kind: KeyEventKind::Press | KeyEventKind::Repeat,
        ..
    }) = event
    else {
        return Wish::Nothing;
    };
    match code {
        KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => Wish::Quit,
        KeyCode::Char('q') | KeyCode::Esc => Wish::Quit,
        KeyCode::Char('s') => Wish::Sort,
        KeyCode::Down | KeyCode::Char('j') => Wish::Scroll(1),
        KeyCode::Up | KeyCode::Char('k') => Wish::Scroll(-1),
        KeyCode::PageDown | KeyCode::Char(' ') => Wish::Scroll(20),
        KeyCode::PageUp => Wish::Scroll(-20),
        KeyCode::Home => Wish::Scroll(isize::MIN),
        KeyCode::End => Wish::Scroll(isize::MAX),
        _ => Wish::Nothing,
    }
}

impl Shown {
    /// Whether that is the end.
    fn grant(&mut self, wish: Wish, height: u16) -> bool {
        match wish {
            Wish::Quit => return true,
            Wish::Nothing => {}
            Wish::Sort => {
                self.sort = self.sort.next();
                self.look = self.look.take().map(|look| look.sorted(self.sort));
                self.first = 0;
            }
            Wish::Scroll(by) => {
                let rows = self.look.as_ref().map_or(0, |look| look.rows.len());
                let room = usize::from(height.saturating_sub(HEAD_ROWS + 1));
                let last = rows.saturating_sub(room);
                self.first = self.first.saturating_add_signed(by).min(last);
            }
        }
        false
    }

    fn draw(&self, buffer: &mut Buffer, colour: bool) {
        let area = buffer.area;
        let above = Rect {
            height: area.height.saturating_sub(1),
            ..area
        };
        if let Some(look) = &self.look
            && above.height > HEAD_ROWS
        {
            view::draw(look, self.first, above, buffer);
        }
        let (text, style) = match &self.error {
            Some(error) => {
                let error = error.to_string();
                let what = error.lines().next().unwrap_or_default().to_owned();
                (format!("trying again: {what}"), Style::new().fg(Color::Red))
            }
            None => {
                let other = match self.sort {
                    Sort::Attention => "by name",
                    Sort::Name => "by attention",
                };
                (
                    format!("q quit · ↑↓ scroll · s sort {other} · (skill) of the backtest"),
                    Style::new().fg(Color::DarkGray),
                )
            }
        };
        let width = usize::from(area.width);
        buffer.set_stringn(area.x, area.bottom().saturating_sub(1), text, width, style);
        if !colour {
            for cell in &mut buffer.content {
                cell.set_style(Style::reset());
            }
        }
    }
}
