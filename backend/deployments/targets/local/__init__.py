"""The embedded serving target: model servers kept by supervisord, traffic moved by Envoy, all on this machine."""
