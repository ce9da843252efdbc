    c: float = Field(gt=0)
    min_flights: int = Field(ge=1)
