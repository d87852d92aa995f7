//! How a server is run.

use std::time::Duration;

/// Settings of a server.
#[derive(Clone, Debug, Default)]
pub struct ServeOptions {
    /// What a client may ask for.
    pub limits: Limits,
    /// Images that go through the model together at most.
    pub batch: Batch,
    /// The bearer token that `/v1` and `/metrics` ask for; `None` asks for none.
    pub token: Option<String>,
}

/// The most images in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch(pub usize);

impl Default for Batch {
    fn default() -> Self {
        Self(8)
    }
}

/// What a client may ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body: usize,
    /// Pixels of a decoded image: a small file may hold a very large one.
    pub pixels: u64,
    /// Images in one request.
    pub images: usize,
    /// Requests for predictions at once; more are answered 429.
    pub requests: usize,
    /// Time a request may take, from its head to its answer.
    pub time: Duration,
    /// Time in which a connection must have sent the whole head of its next request.
    pub head: Duration,
}

impl Default for Limits {
    /// 32 MiB, 64 megapixels, 16 images, 32 requests, 30 seconds, 10 for a head.
    fn default() -> Self {
        Self {
            body: 32 << 20,
            pixels: 64_000_000,
            images: 16,
            requests: 32,
            time: Duration::from_secs(30),
            head: Duration::from_secs(10),
        }
    }
}
