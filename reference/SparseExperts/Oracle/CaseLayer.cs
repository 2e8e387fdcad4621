using SparseExperts.Autograd;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>
/// A kind of layer as case files know it: how its stages are compared with their claims, and what the reference claims of them itself. All who take a
/// case's layer apart ask here.
/// </summary>
sealed record CaseLayer(Action<CaseCheck, Tape, CaseTensors> Check, Func<OwnClaims, (Tensor? Y, Tensor? Loss)> Answer)
{
    static readonly Dictionary<LayerKind, CaseLayer> Kinds = new()
    {
        [LayerKind.Routed] = new((check, tape, tensors) => check.RoutedStages(tape, tensors), own => own.Routed()),
        [LayerKind.TwoLevelRouter] = new((check, tape, tensors) => check.TwoLevelStages(tape, tensors), own => own.TwoLevels()),
        [LayerKind.Soft] = new((check, tape, tensors) => check.SoftStages(tape, tensors), own => own.Soft()),
    };

    /// <summary>Whether the format has tensors for the stages of a dialect's layer.</summary>
    public static bool Has(Dialect dialect) => Kinds.ContainsKey(dialect.LayerKind());

    /// <exception cref="CaseException">The format has none.</exception>
    public static CaseLayer Of(Case @case) => Kinds.GetValueOrDefault(@case.Dialect.LayerKind())
        ?? throw new CaseException($"{@case.Path}: {@case.Dialect.Name} is a {@case.Dialect.LayerKind()} layer, whose stages have no tensors in this format; "
            + "check another dialect");
}
