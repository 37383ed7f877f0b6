"""The measurements of performance: `bin/bench`. Ratios in one run, all parts interleaved, medians with their spread."""
