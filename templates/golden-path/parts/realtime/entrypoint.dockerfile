EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/v2/health/ready', timeout=2)"]
# The shell gives way to the server (exec), so that the server gets the stop signal and can drain. An entry point, not a command:
# SageMaker starts every image with the argument `serve`, which is nothing to it.
ENTRYPOINT ["sh", "-c", "exec python -m mlplatform.serving --model-dir model --spec model.yaml --name {{ name }} --version \"$MODEL_VERSION\" --environment \"$MODEL_ENVIRONMENT\" --host 0.0.0.0 --port 8080"]
