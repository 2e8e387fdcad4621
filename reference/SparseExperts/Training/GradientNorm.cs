using SparseExperts.Autograd;

namespace SparseExperts.Training;

/// <summary>The norm of the whole gradient: rows are squared and summed on the backend, joined on the host in double.</summary>
public sealed class GradientNorm(IBackend backend, IReadOnlyList<Parameter> parameters)
{
    /// <summary>The squares of all rows of all parameters, one below the other, so that one read brings them.</summary>
    readonly Matrix _sums = backend.Rent(parameters.Sum(p => p.Rows), 1);
    readonly float[] _host = new float[parameters.Sum(p => p.Rows)];

    public double Compute()
    {
        var rows = 0;
        foreach (var parameter in parameters)
        {
            if (!parameter.HasGradient) continue;
            backend.RowDots(parameter.Gradient, parameter.Gradient, _sums.RowRange(rows, parameter.Rows), false);
            rows += parameter.Rows;
        }
        backend.Read(_sums.RowRange(0, rows), _host);
        var sum = 0.0;
        foreach (var square in _host.AsSpan(0, rows)) sum += square;
        return Math.Sqrt(sum);
    }

    /// <summary>What clipping multiplies the gradient by: min(1, clip/(norm + 1e-6)) (PyTorch clip_grad_norm_); clip 0 is no clipping.</summary>
    public static double Factor(double norm, double clip) => clip <= 0 ? 1 : Math.Min(1, clip / (norm + 1e-6));
}
