"""The machine a job runs on: device, host, who else uses it, what can be measured here."""
