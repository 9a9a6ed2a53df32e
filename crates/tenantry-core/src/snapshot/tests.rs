//! The engine against a slow model, and what it promises about copies.
