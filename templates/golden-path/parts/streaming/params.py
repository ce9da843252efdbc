    quantiles: int = Field(ge=10)
    c: float = Field(gt=0)
