//! Headless Chromium over its DevTools protocol.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tungstenite::{Message, WebSocket, client};

/// Longer than anything here takes on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser of its own, ended with the test.
pub struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    session: String,
    sent: u64,
    /// Errors, and warnings of the console, since the page was opened.
    pub complaints: Vec<String>,
    _profile: tempfile::TempDir,
}

/// The browser that HGAD_CHROMIUM names, or Chromium or Chrome on PATH.
fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("HGAD_CHROMIUM") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|p| p.is_file())
}

impl Browser {
    /// `None`, with a notice, where there is no browser on this machine.
    pub fn start() -> Option<Self> {
        let Some(program) = program() else {
            // Not through the test's own output, which is shown only where it fails.
            let notice = "skipped: no chromium on PATH, and HGAD_CHROMIUM names none; pages were not looked at\n";
            let _ = std::io::stderr().write_all(notice.as_bytes());
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let child = Command::new(&program)
            .args(["--headless", "--remote-debugging-port=0", "--no-first-run", "--disable-gpu"])
            // Containers that run tests as root have no namespaces to make a sandbox of; what is
            // opened here is the program's own.
            .args(["--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("{} cannot be started: {e}", program.display()));
        // It writes its port and path once it listens.
        let file = profile.path().join("DevToolsActivePort");
        let address = until("the browser to listen", || {
            let text = std::fs::read_to_string(&file).ok()?;
            let (port, path) = text.split_once('\n')?;
            path.starts_with('/').then(|| (port.to_string(), path.trim().to_string()))
        });
        let stream = TcpStream::connect(format!("127.0.0.1:{}", address.0)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let url = format!("ws://127.0.0.1:{}{}", address.0, address.1);
        let (socket, _) = client(url, stream).unwrap();
        let (session, complaints) = (String::new(), Vec::new());
        let mut browser = Self { child, socket, session, sent: 0, complaints, _profile: profile };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attached = browser.call(
            "Target.attachToTarget",
            json!({"targetId": target["targetId"], "flatten": true}),
        );
        browser.session = attached["sessionId"].as_str().unwrap().into();
        for domain in ["Page", "Runtime", "Log", "Network", "DOM"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// The answer to one call of the protocol.
    #[track_caller]
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let mut message = json!({"id": self.sent, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(message.to_string())).unwrap();
        loop {
            let text = self.socket.read().unwrap();
            let Ok(text) = text.to_text() else { continue };
            let Ok(mut answer) = serde_json::from_str::<Value>(text) else { continue };
            if answer["id"] == json!(self.sent) {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
            self.listen(&answer);
        }
    }

    /// Keeps what a console would show in red or yellow.
    fn listen(&mut self, event: &Value) {
        let p = &event["params"];
        let complaint = match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => p["exceptionDetails"].to_string(),
            "Runtime.consoleAPICalled"
                if ["error", "warning"].contains(&p["type"].as_str().unwrap_or_default()) =>
            {
                p["args"].to_string()
            }
            "Log.entryAdded"
                if ["error", "warning"]
                    .contains(&p["entry"]["level"].as_str().unwrap_or_default()) =>
            {
                p["entry"].to_string()
            }
            _ => return,
        };
        self.complaints.push(complaint);
    }

    /// Opens an address and waits until it is loaded.
    #[track_caller]
    pub fn open(&mut self, url: &str) {
        self.complaints.clear();
        let opened = self.call("Page.navigate", json!({"url": url}));
        assert!(opened["errorText"].is_null(), "{url}: {opened}");
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// The value of a JavaScript expression, awaited where it is a promise.
    #[track_caller]
    pub fn value(&mut self, expression: &str) -> Value {
        let mut answer = self.call(
            "Runtime.evaluate",
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true}),
        );
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {}",
            answer["exceptionDetails"]
        );
        answer["result"]["value"].take()
    }

    /// Text of the first element that `selector` finds.
    #[track_caller]
    pub fn text(&mut self, selector: &str) -> String {
        let value = self.value(&format!("document.querySelector({selector:?}).textContent"));
        value.as_str().unwrap().into()
    }

    /// Waits until an expression holds.
    #[track_caller]
    pub fn wait(&mut self, expression: &str) {
        let started = Instant::now();
        while self.value(expression) != json!(true) {
            let body = "document.body?.innerText";
            assert!(started.elapsed() < PATIENCE, "{expression}\n{}", self.value(body));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Puts files into an `<input type="file">`, as choosing them does.
    #[track_caller]
    pub fn choose(&mut self, selector: &str, files: &[&Path]) {
        let document = self.call("DOM.getDocument", json!({}));
        let input = self.call(
            "DOM.querySelector",
            json!({"nodeId": document["root"]["nodeId"], "selector": selector}),
        );
        self.call("DOM.setFileInputFiles", json!({"files": files, "nodeId": input["nodeId"]}));
    }

    /// The size of the window, and whether the reader wants it dark.
    pub fn view(&mut self, width: u32, height: u32, dark: bool) {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}),
        );
        let value = if dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": value}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Presses and releases the mouse in the middle of an element.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let at = self.value(&format!(
            "(() => {{ const e = document.querySelector({selector:?}); e.scrollIntoView({{ block: 'center', behavior: 'instant' }}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            self.call(
                "Input.dispatchMouseEvent",
                json!({"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1}),
            );
        }
    }

    /// A picture of the whole page in the folder that HGAD_SCREENSHOTS names, where it names one.
    pub fn picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("HGAD_SCREENSHOTS") else { return };
        let shot = self.call(
            "Page.captureScreenshot",
            json!({"format": "png", "captureBeyondViewport": true}),
        );
        let bytes = STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }

    /// Nothing was complained of since the page was opened.
    #[track_caller]
    pub fn is_content(&mut self) {
        // One more turn, so that what was said meanwhile has come.
        self.value("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))");
        assert!(self.complaints.is_empty(), "{}", self.complaints.join("\n"));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
