using SparseExperts.Models;
using SparseExperts.Ops;
using SparseExperts.Routing;
using static SparseExperts.Checking.Hub.FaultParts;
using static SparseExperts.Checking.Switch.SwitchFaults;

namespace SparseExperts.Checking.Switch;

/// <summary>What a sparse layer of an encoder or decoder may do instead: who is dropped, gates, router, experts.</summary>
sealed class SwitchSparseFaults(T5Sparse layer)
{
    readonly SparseBlock _block = layer.Block;

    public IEnumerable<SwitchFault> All() => OfRules().Concat(OfRouter()).Concat(OfExperts());

    SwitchFault Rule(string sentence, Dialect dialect) => Fault(sentence, layer with { Block = _block.With(dialect) });

    IEnumerable<SwitchFault> OfRules()
    {
        var d = _block.Dialect;
        foreach (var capacity in (int?[])[d.Capacity + 1, d.Capacity - 1, d.Capacity * 2, d.Capacity / 2])
            if (capacity > 0 && capacity != d.Capacity) yield return Rule($"capacity {capacity} in place of {d.Capacity}", d with { Capacity = capacity });
        yield return Rule("capacity never enforced", d with { CapacityFormula = CapacityFormula.None, Capacity = null });
        yield return Rule("capacity counted over the whole batch in place of each row", d with { GroupSize = 0 });
        yield return Rule("padding took no place in the experts", d with { Padding = PaddingRule.Skipped });
        yield return Rule("dropped tokens passed on times their gate in place of 0", d with { DroppedOutput = DroppedOutput.GateTimesInput });
        yield return Rule("gate not applied", d with { Gate = Gate.One });
        yield return Rule("gate applied to the experts' input", d with { ApplyGateTo = GatePlace.Input });
        yield return Rule("sigmoid in place of softmax scores", d with { Score = Score.Sigmoid });
    }

    IEnumerable<SwitchFault> OfRouter()
    {
        var (tape, router) = (layer.Parts.Tape, _block.Router);
        if (router.Weight is { } weight && weight.Rows == weight.Columns)
            yield return Fault("router transposed", layer with { Block = _block.With(router: router with { Weight = tape.Transpose(weight) }) });
        foreach (var (sentence, with) in RowsExchanged(tape, router, layer.Parts.Config.Experts, Block(layer)))
            yield return Fault(sentence, layer with { Block = _block.With(router: with) });
    }

    IEnumerable<SwitchFault> OfExperts()
    {
        var own = layer.Parts.Config.Activation;
        foreach (var other in SwitchFaults.Activations.Where(a => a != own))
            yield return Fault($"activation {other} of the experts in place of {own}", layer with { Block = _block.With(activation: other) });
        var experts = new ExpertFaults(layer.Parts.Tape, _block.Experts, layer.Parts.Config.Experts, Block(layer)) { Up = "wi", Down = "wo" };
        foreach (var (sentence, with) in experts.All()) yield return Fault(sentence, layer with { Block = _block.With(experts: with) });
    }

    /// <summary>Narrower formats that the recorded numbers show.</summary>
    public IEnumerable<SwitchFault> Formats(Recording recording)
    {
        var name = SwitchRouter.NameOf(layer);
        return RouterFormats.Of(_block.Dialect, recording, $"{name}.logits", $"{name}.probability").Select(f => Rule(f.Sentence, f.With));
    }
}
