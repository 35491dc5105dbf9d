//! Writes a service as systemd units, every value encoded so that it arrives literally.
