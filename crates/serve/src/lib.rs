//! A trained model behind HTTP.
//!
//! [`serve`] answers `POST /v1/predict` with verdicts, `GET /v1/model` with what the model is,
//! `/healthz`, `/readyz` and `/metrics` for those who watch it, `/openapi.json` with the description
//! of all of it, and `/` with a page to drop images on. Requests that wait while the model is at work
//! go through it together.
//!
//! Invariants: nothing a client sends is decoded before its size is known to be within [`Limits`];
//! the async threads never compute; a request that was admitted gets an answer, also while the
//! server shuts down; no connection is held for longer than its limits by a client that says nothing.

mod answer;
mod auth;
mod batcher;
mod connections;
mod deadline;
mod metrics;
mod model;
mod openapi;
mod options;
mod page;
mod predict;
mod problem;
mod routes;
mod server;
mod state;
mod upload;

pub use options::{Batch, Limits, ServeOptions};
pub use server::{ServeError, serve};
