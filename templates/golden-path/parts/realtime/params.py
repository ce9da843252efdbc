    features: int = Field(ge=1)
    c: float = Field(gt=0)
