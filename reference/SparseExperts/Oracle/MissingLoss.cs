using SparseExperts.Losses;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>A claimed loss that the dialect does not have, in one line: what it has instead, and who has it.</summary>
static class MissingLoss
{
    /// <param name="own">Names of the losses that it has.</param>
    public static CaseException Of(Case c, RouterCall call, string name, string[] own)
    {
        var d = call.Dialect;
        var has = own.Length == 0 ? $"has no auxiliary losses in mode {c.Mode}" : $"has no loss '{name}' in mode {c.Mode}, it has {string.Join(", ", own)}";
        return new($"{c.Path}: claim.loss.{name}: {d.Name} {has}; {Remedy(c, call, name)}");
    }

    static string Remedy(Case c, RouterCall call, string name)
    {
        if (!AuxiliaryLosses.AllNames.Contains(name))
            return $"no dialect has a loss of that name, near it are {string.Join(", ", BuiltIn.Nearest(name, AuxiliaryLosses.AllNames))}; correct it";
        if (name is "sequence_balance" or "global_balance" && call.Dialect.Parameters.Contains($"{name}_coefficient"))
            return $"set the parameter {name}_coefficient, or remove the claim";
        if (AuxiliaryLosses.Names(call with { Training = !call.Training, Dialect = c.Dialect.For(!call.Training) }).Contains(name))
            return $"it is there in mode {(call.Training ? "eval" : "train")}; name that mode, or remove the claim";
        var others = BuiltIn.All.Where(d => d.LayerKind() == LayerKind.Routed
            && AuxiliaryLosses.Names(call with { Dialect = d.For(call.Training) }).Contains(name)).Select(d => d.Name).ToArray();
        if (others.Length == 0) return "remove the claim, or name a dialect that has it";
        return $"remove the claim, or name a dialect that has it (as {string.Join(", ", others.Take(3))}{(others.Length > 3 ? ", …" : "")})";
    }
}
