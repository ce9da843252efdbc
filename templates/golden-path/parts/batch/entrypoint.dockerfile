# A run ends by itself: there is nothing to ask for its health.
HEALTHCHECK NONE
# LAKE is the address of the environment's data lake. DAY is the day to score; without it, yesterday, as `batch.delay` says.
# The shell gives way to the run (exec), so that the run gets the stop signal.
ENTRYPOINT ["sh", "-c", "exec python -m mlplatform.batch --model-dir model --spec model.yaml --version \"$MODEL_VERSION\" --environment \"$MODEL_ENVIRONMENT\" --lake \"$LAKE\" --day \"${DAY:-$(date --utc --date yesterday +%F)}\" --run-id \"$(hostname)\""]
