using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>Tensors as the host sees them: read when somebody first looks, with their error bounds where the backend carries any.</summary>
public static class HostNumbers
{
    /// <summary>Valid until the tape's next reset.</summary>
    public static Numbers Of(Tape tape, Tensor tensor)
    {
        var count = checked((int)tensor.Value.Count);
        return new(() =>
        {
            var host = tape.Scratch<HostScratch>();
            var values = host.Numbers(count);
            tape.ReadForPlan(tensor.Value, values);
            if (tape.Backend is not IErrorBounds { CarriesBounds: true } bounds) return (values, host.Zeros(count));
            var errors = host.Numbers(count);
            bounds.ReadErrors(tensor.Value, errors);
            return (values, errors);
        });
    }

    /// <summary>What choosing needs of a router's outputs.</summary>
    public static RouterNumbers Of(Tape tape, RouterCall call, Tensor logits, Tensor noisy, Tensor scores, RouterWeights router)
    {
        var clean = Of(tape, logits);
        var disturbed = ReferenceEquals(noisy, logits) ? clean : Of(tape, noisy);
        var thresholds = Array.Empty<double>();
        if (router.Thresholds is { } t) tape.ReadForPlan(t.Value, thresholds = new double[call.Experts]);
        return new()
        {
            Logits = clean,
            Noisy = disturbed,
            Scores = ReferenceEquals(scores, noisy) ? disturbed : Of(tape, scores),
            CorrectionBias = call.Dialect.CorrectionBias ? router.CorrectionBias : [],
            ImageBias = call.Dialect.BiasOfImages ? router.ImageBias : [],
            Thresholds = thresholds,
        };
    }
}
