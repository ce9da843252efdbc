EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/v2/health/ready', timeout=2)"]
# BROKER is the address of the environment's broker. Outside of the platform, which shares a stream among versions, this one has
# it for itself. The shell gives way to the consumer (exec), so that the consumer gets the stop signal and can drain.
COPY <<"EOF" start.sh
set -eu
python -c "
import os, pathlib
from mlplatform.streaming.control import whole_stream, write_control
whole = whole_stream(os.environ['MODEL_ENVIRONMENT'], '{{ name }}', int(os.environ['MODEL_VERSION']))
write_control(pathlib.Path('/tmp/control/shares.json'), whole)"
exec python -m mlplatform.streaming --model-dir model --spec model.yaml --name {{ name }} --version "$MODEL_VERSION" \
    --environment "$MODEL_ENVIRONMENT" --broker "$BROKER" --control /tmp/control/shares.json --state /tmp --host 0.0.0.0 --port 8080
EOF
ENTRYPOINT ["sh", "start.sh"]
