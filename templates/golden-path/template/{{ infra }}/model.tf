# Everything about the model comes from model.yaml; nothing is said twice.
locals {
  model     = yamldecode(file("${path.module}/../model.yaml"))
  name      = local.model.name
  serving   = try(local.model.serving, {})
  resources = try(local.serving.resources, {})
  retention = try(local.model.retention, {})

  tags = {
    model       = local.name
    owner       = local.model.owner
    cost-centre = local.model.costCentre
    environment = var.environment
  }

  cpu_text     = tostring(try(local.resources.cpu, "1"))
  cpu_milli    = endswith(local.cpu_text, "m") ? tonumber(trimsuffix(local.cpu_text, "m")) : tonumber(local.cpu_text) * 1000
  memory_text  = try(local.resources.memory, "1Gi")
  memory_units = { Ki = 1 / 1024, Mi = 1, Gi = 1024, Ti = 1024 * 1024 }
  memory_mebi = ceil(
    tonumber(regex("^[0-9]+", local.memory_text)) * local.memory_units[regex("[A-Z]i$", local.memory_text)]
  )

  # Two versions at once during a rollout, and one replica more while pods are replaced.
  replicas = try(local.serving.autoscaling.maxReplicas, local.serving.replicas, 1)
  pods     = 2 * local.replicas + 1

  # Retention is written in days; a part of a day counts as none.
  runs_days     = max(1, try(tonumber(regex("^([0-9]+)d", local.retention.runs)[0]), 365))
  versions_days = max(1, try(tonumber(regex("^([0-9]+)d", local.retention.versions)[0]), 730))
}
