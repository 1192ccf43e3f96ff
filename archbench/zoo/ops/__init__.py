"""What detectors share after the convolutions: boxes, priors, suppression, the synthetic load."""
