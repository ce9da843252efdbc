data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

# In a key's policy, `*` is the key itself. The account decides by IAM who may do what with it.
data "aws_iam_policy_document" "key" {
  # checkov:skip=CKV_AWS_109: the resource of a key policy is the key
  # checkov:skip=CKV_AWS_111: the resource of a key policy is the key
  # checkov:skip=CKV_AWS_356: the resource of a key policy is the key
  statement {
    sid       = "ByIam"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"]
    }
  }
}

resource "aws_kms_key" "model" {
  description             = "${local.name} in ${var.environment}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key.json
  tags                    = local.tags
}

resource "aws_kms_alias" "model" {
  name          = "alias/ml-platform/${local.name}-${var.environment}"
  target_key_id = aws_kms_key.model.key_id
}
