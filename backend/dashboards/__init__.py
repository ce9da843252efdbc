"""Dashboards as code: of a model, a team and the platform, for Grafana and for Datadog, from the same panels."""
