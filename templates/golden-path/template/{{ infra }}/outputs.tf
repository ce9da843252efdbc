output "namespace" {
  description = "Where the model runs."
  value       = kubernetes_namespace_v1.model.metadata[0].name
}

output "service_account" {
  description = "What its pods run as."
  value       = kubernetes_service_account_v1.model.metadata[0].name
}

output "bucket" {
  description = "What it reads and writes."
  value       = aws_s3_bucket.model.id
}

output "key" {
  description = "What its bucket is encrypted with."
  value       = aws_kms_key.model.arn
}

output "role" {
  description = "What its service account may do in AWS."
  value       = aws_iam_role.model.arn
}
