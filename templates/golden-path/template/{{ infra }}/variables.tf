variable "environment" {
  description = "Environment that this is for, such as staging or production."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9]+(-[a-z0-9]+)*$", var.environment))
    error_message = "Lower-case letters, digits and single hyphens, as in the platform's settings."
  }
}

variable "oidc_provider_arn" {
  description = "OIDC provider of the EKS cluster, through which the service account takes its role."
  type        = string
}

variable "log_bucket" {
  description = "Bucket that takes the access log of the model's bucket."
  type        = string
}

variable "bucket_prefix" {
  description = "What bucket names of the organisation start with; they are unique in the whole of AWS."
  type        = string
}
