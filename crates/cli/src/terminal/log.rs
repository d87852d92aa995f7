//! Log lines of the program and its libraries, through tracing.

use super::json::TARGET;
use super::{LogFormat, SharedBar};
use serde_json::{Map, Value};
use std::io::{IsTerminal, Write};
use std::sync::PoisonError;
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// The end of the name of a field whose text is JSON itself.
const NESTED: &str = "_json";

/// Lets log lines through to standard error. Gives what is wrong with HGAD_LOG, if something is.
pub fn start(quiet: bool, format: LogFormat, bar: SharedBar) -> Option<String> {
    let asked = std::env::var("HGAD_LOG").unwrap_or_default();
    let (mut filter, complaint) = match asked.parse::<EnvFilter>() {
        Ok(filter) if !asked.trim().is_empty() => (filter, None),
        Ok(_) => (EnvFilter::new("warn"), None),
        Err(e) => {
            let text = format!(
                "HGAD_LOG is `{asked}`: {e}; write it like debug, or hgad_serve=debug,warn"
            );
            (EnvFilter::new("warn"), Some(text))
        }
    };
    let builder = tracing_subscriber::fmt();
    let _ = match format {
        LogFormat::Text => builder
            .with_writer(BesideBar(bar))
            .with_ansi(std::io::stderr().is_terminal())
            .without_time()
            .with_env_filter(filter)
            .try_init(),
        LogFormat::Json => {
            let own = format!("{TARGET}={}", if quiet { "warn" } else { "info" });
            if let Ok(directive) = own.parse() {
                filter = filter.add_directive(directive);
            }
            std::panic::set_hook(Box::new(|panic| {
                tracing::error!(target: TARGET, "{panic}");
            }));
            let format = tracing_subscriber::fmt::format().json().flatten_event(true);
            let format = format.with_current_span(false).with_span_list(false);
            builder
                .json()
                .event_format(Nesting(format))
                .with_writer(BesideBar(bar))
                .with_env_filter(filter)
                .try_init()
        }
    };
    complaint
}

/// JSON lines as tracing-subscriber writes them, with fields like `terms_json` put in as the JSON that
/// they hold, under `terms`: tracing itself has flat fields with fixed names alone.
struct Nesting(Format<Json>);

impl<S, N> FormatEvent<S, N> for Nesting
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        match nest(&line) {
            Some(nested) => writeln!(writer, "{nested}"),
            None => writer.write_str(&line),
        }
    }
}

/// `line` with what it nests; `None` where it nests nothing.
fn nest(line: &str) -> Option<Value> {
    let own = nests(line).then(|| serde_json::from_str::<Map<String, Value>>(line));
    let entry = |(key, value): (String, Value)| {
        let name = key.strip_suffix(NESTED)?;
        let inner = serde_json::from_str(value.as_str()?).ok()?;
        Some((name.to_string(), inner))
    };
    let entries = own?.ok()?.into_iter();
    Some(Value::Object(entries.map(|e| entry(e.clone()).unwrap_or(e)).collect()))
}

fn nests(line: &str) -> bool {
    line.contains(&format!("{NESTED}\":"))
}

/// Standard error, with the bar out of the way.
struct BesideBar(SharedBar);

impl<'a> MakeWriter<'a> for BesideBar {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &BesideBar {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let write = || std::io::stderr().write_all(bytes);
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(bar) => bar.suspend(write)?,
            None => write()?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_is_put_in_as_such() {
        let nested = nest(r#"{"message":"pass","terms_json":"{\"inter\":0.5}","loss":1.0}"#);
        let text = nested.unwrap().to_string();
        assert_eq!(text, r#"{"message":"pass","terms":{"inter":0.5},"loss":1.0}"#);
        assert_eq!(nest(r#"{"message":"begin"}"#), None);
        // What only looks so stays as it is.
        let text = nest(r#"{"a_json":"{","b_json":"1"}"#).unwrap().to_string();
        assert_eq!(text, r#"{"a_json":"{","b":1}"#);
    }
}
