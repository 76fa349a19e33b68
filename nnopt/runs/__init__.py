"""One training run: its spec (experiment), its steps (run), its log (history), a script's entrance (minimize)."""
