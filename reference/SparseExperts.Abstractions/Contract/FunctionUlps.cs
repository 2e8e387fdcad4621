namespace SparseExperts;

/// <summary>
/// How far float32 libraries may be from the exact value of an elementary function, in units in the last place: what CUDA's manual states at
/// most (C++ Programming Guide, mathematical functions: expf 2, logf 1, log1pf 1, tanhf 2, erff 2), no less than two for any, and four for tanh,
/// whose value in glibc can be more than two away. The cards and the oracle's bounds read them here.
/// </summary>
public static class FunctionUlps
{
    public const double Exp = 2, Log = 2, Log1p = 2, Tanh = 4, Erf = 2;
}
