//! The data plane: what happens to a call between a client and the API behind, without a database.
