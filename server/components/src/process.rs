//! A server in a process of its own that does not outlive the tests, however they end.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

/// Runs the server, and says so when it ends; when the tests' end of the pipe closes, ends it and all it started, and removes
/// the folder.
const KEEPER: &str = r#"folder=$1; shift
{ "$@" >"$folder/log" 2>&1; echo ended; } </dev/null & server=$!
cat >/dev/null
trap : TERM
kill -TERM 0
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  kill -0 $server 2>/dev/null || break
  sleep 0.1
done
rm -rf "$folder"
kill -KILL 0"#;

/// A running server and its folder.
#[derive(Debug)]
pub struct Process {
    /// Holds the pipe that keeps the server alive.
    _keeper: Child,
    /// Told when the server ends by itself.
    ended: Mutex<Receiver<()>>,
    /// Its own; holds its `log`.
    pub folder: PathBuf,
}

impl Process {
    /// Starts `command` (program and arguments) in a folder of its own.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start<S: AsRef<OsStr>>(
        name: &str,
        environment: &[(&str, &str)],
        command: impl FnOnce(&Path) -> Vec<S>,
    ) -> Self {
        let folder = tempfile::Builder::new()
            .prefix(&format!("loadcast-{name}-"))
            .tempdir()
            .unwrap()
            .keep();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&folder)
            .args(command(&folder))
            .envs(environment.iter().copied())
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut says = BufReader::new(keeper.stdout.take().unwrap());
        let (tell, ended) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let _ = says.read_line(&mut String::new());
            let _ = tell.send(());
        });
        Self {
            _keeper: keeper,
            ended: Mutex::new(ended),
            folder,
        }
    }

    /// Waits, on a thread that has nothing else to do, until `GET path` on `port` answers 200.
    ///
    /// # Panics
    /// With the server's log, when it ended or does not answer within `patience`.
    pub fn wait_for(&mut self, port: u16, path: &str, patience: Duration) {
        let begun = Instant::now();
        while !answers(port, path) {
            let ended = self
                .ended
                .get_mut()
                .unwrap()
                .recv_timeout(Duration::from_millis(100));
            assert!(
                ended == Err(RecvTimeoutError::Timeout) && begun.elapsed() < patience,
                "no answer on port {port} after {:?}; log:\n{}",
                begun.elapsed(),
                fs::read_to_string(self.folder.join("log")).unwrap_or_default()
            );
        }
    }
}

fn answers(port: u16, path: &str) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(
            socket,
            "GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n"
        )?;
        let mut head = [0; 12];
        socket.read_exact(&mut head)?;
        Ok(String::from_utf8_lossy(&head).into_owned())
    };
    ask().is_ok_and(|head| head.ends_with("200"))
}
