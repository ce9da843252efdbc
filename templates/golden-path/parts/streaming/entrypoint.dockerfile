EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/v2/health/ready', timeout=2)"]
# BROKER is the address of the environment's broker. Outside of the platform, which shares a stream among versions, this one has
# it for itself. The shell gives way to the consumer (exec), so that the consumer gets the stop signal and can drain.
ENTRYPOINT ["sh", "-c", "exec python -m mlplatform.streaming --model-dir model --spec model.yaml --name {{ name }} --version \"$MODEL_VERSION\" --environment \"$MODEL_ENVIRONMENT\" --broker \"$BROKER\" --state /tmp --host 0.0.0.0 --port 8080"]
