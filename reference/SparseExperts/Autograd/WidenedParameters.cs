namespace SparseExperts.Autograd;

/// <summary>Copies in the backend's reals of parameters that are kept in two bytes, for ops that know no other numbers: one a step.</summary>
sealed class WidenedParameters : IStepScratch
{
    readonly Dictionary<Parameter, Matrix> _copies = [];

    public Matrix Of(Tape tape, Parameter parameter)
    {
        if (_copies.TryGetValue(parameter, out var known)) return known;
        var copy = tape.RentWith(null, parameter.Rows, parameter.Columns);
        tape.Backend.Cast(parameter.Stored, copy);
        return _copies[parameter] = copy;
    }

    public void Reset() => _copies.Clear();
}
