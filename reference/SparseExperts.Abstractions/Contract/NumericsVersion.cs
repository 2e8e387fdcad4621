namespace SparseExperts;

/// <summary>
/// The version of everything that decides bits: orders of sums, elementary functions, random streams. Programs of one version give the same
/// bits for the same run; a change of any bit of a checkpoint raises it, with a line in the change log.
/// </summary>
public static class NumericsVersion
{
    public const int Current = 5;
}
