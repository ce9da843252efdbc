resource "kubernetes_namespace_v1" "model" {
  metadata {
    name = local.name
    labels = {
      "ml-platform/model"                          = local.name
      "pod-security.kubernetes.io/enforce"         = "restricted"
      "pod-security.kubernetes.io/enforce-version" = "latest"
    }
    annotations = {
      "ml-platform/owner"       = local.model.owner
      "ml-platform/cost-centre" = local.model.costCentre
    }
  }
}

resource "kubernetes_resource_quota_v1" "model" {
  metadata {
    name      = local.name
    namespace = kubernetes_namespace_v1.model.metadata[0].name
  }
  spec {
    hard = {
      "pods"            = local.pods
      "requests.cpu"    = "${local.pods * local.cpu_milli}m"
      "limits.cpu"      = "${local.pods * local.cpu_milli}m"
      "requests.memory" = "${local.pods * local.memory_mebi}Mi"
      "limits.memory"   = "${local.pods * local.memory_mebi}Mi"
    }
  }
}

resource "kubernetes_limit_range_v1" "model" {
  metadata {
    name      = local.name
    namespace = kubernetes_namespace_v1.model.metadata[0].name
  }
  spec {
    limit {
      type            = "Container"
      default         = { cpu = "${local.cpu_milli}m", memory = "${local.memory_mebi}Mi" }
      default_request = { cpu = "${local.cpu_milli}m", memory = "${local.memory_mebi}Mi" }
      max             = { cpu = "${local.cpu_milli}m", memory = "${local.memory_mebi}Mi" }
    }
  }
}

resource "kubernetes_service_account_v1" "model" {
  metadata {
    name        = local.name
    namespace   = kubernetes_namespace_v1.model.metadata[0].name
    annotations = { "eks.amazonaws.com/role-arn" = aws_iam_role.model.arn }
  }
  automount_service_account_token = false # the token for AWS is a projected one of its own
}
