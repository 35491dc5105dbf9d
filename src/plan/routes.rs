//! Writes services' routes into Caddy's configuration and leaves the rest of it alone.
