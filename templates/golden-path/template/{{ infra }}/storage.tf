locals {
  # Names of buckets have at most 63 characters; what is longer keeps its start and a digest of the whole.
  bucket_whole = "${var.bucket_prefix}-${local.name}-${var.environment}"
  bucket_short = "${trimsuffix(substr(local.bucket_whole, 0, 54), "-")}-${substr(sha256(local.bucket_whole), 0, 8)}"
  bucket       = length(local.bucket_whole) <= 63 ? local.bucket_whole : local.bucket_short
}

# The model's bucket: what it reads and writes in this environment, and nobody else's.
resource "aws_s3_bucket" "model" {
  # checkov:skip=CKV_AWS_144: what lies here can be made again from its sources
  # checkov:skip=CKV2_AWS_62: nobody waits for events of this bucket
  bucket = local.bucket
  tags   = local.tags
}

resource "aws_s3_bucket_versioning" "model" {
  bucket = aws_s3_bucket.model.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "model" {
  bucket = aws_s3_bucket.model.id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.model.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "model" {
  bucket                  = aws_s3_bucket.model.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "model" {
  bucket = aws_s3_bucket.model.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_logging" "model" {
  bucket        = aws_s3_bucket.model.id
  target_bucket = var.log_bucket
  target_prefix = "s3/${aws_s3_bucket.model.id}/"
}

resource "aws_s3_bucket_lifecycle_configuration" "model" {
  bucket     = aws_s3_bucket.model.id
  depends_on = [aws_s3_bucket_versioning.model]

  rule {
    id     = "retention.versions"
    status = "Enabled"
    filter {}
    expiration {
      days = local.versions_days
    }
    noncurrent_version_expiration {
      noncurrent_days = local.runs_days
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

data "aws_iam_policy_document" "bucket" {
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.model.arn, "${aws_s3_bucket.model.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "model" {
  bucket = aws_s3_bucket.model.id
  policy = data.aws_iam_policy_document.bucket.json
}
